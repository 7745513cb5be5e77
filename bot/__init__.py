"""The official-account engine: callback, codec, router, replies, isolation. No business."""
