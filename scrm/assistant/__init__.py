"""The assistant 智能客服: what the brand knows, what a model may say of it and at what cost, what people care about."""
