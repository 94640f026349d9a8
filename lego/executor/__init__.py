"""The executor: runs workflows over the tools."""

if __name__ != "lego.executor":
    raise ImportError("this is a link into lego; write `import lego.executor`, not `import executor`")
