"""What runs without anybody asking: jobs, schedules, outbox delivery."""
