"""Vertex AI, one folder a capability (renamed Gemini Enterprise Agent Platform in 2026; the API kept its names)."""
