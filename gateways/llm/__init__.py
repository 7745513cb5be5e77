"""Language models behind an OpenAI-compatible address: DeepSeek, Qwen, Kimi, the simulator."""
