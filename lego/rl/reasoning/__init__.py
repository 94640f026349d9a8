"""Data that teaches reasoning: lessons in thinking and in judging, made of scenes or of pools with a model."""
