"""The school: trains builders. It comes with a later release; nothing is here yet."""

if __name__ != "lego.rl":
    raise ImportError("this is a link into lego; write `import lego.rl`, not `import rl`")
