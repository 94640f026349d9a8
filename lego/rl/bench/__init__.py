"""The bench: how good builders plan, and how good editors do in public benchmarks that lie on this machine."""
