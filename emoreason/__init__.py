"""Fine-tune multimodal language models to reason about emotion, from SFT to RL."""

__version__ = "0.1.0"
