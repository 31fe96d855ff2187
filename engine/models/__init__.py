"""Models behind an OpenAI-compatible server: requests, replies, failures, trust, prompts."""
