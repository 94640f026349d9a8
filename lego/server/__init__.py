"""The server: edits over HTTP, as jobs, in the shape that OpenAI's clients know."""
