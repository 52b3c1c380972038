"""Cues, rationales and statements for records, asked of a server that speaks as OpenAI's does, filtered, and written as records."""
