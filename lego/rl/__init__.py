"""The school: trains builders. So far: scenes with known truth, and photographs with known faults."""

if __name__ != "lego.rl":
    raise ImportError("this is a link into lego; write `import lego.rl`, not `import rl`")
