"""Chat templates: how a conversation is written for a model, and how many tokens that takes."""
