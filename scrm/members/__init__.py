"""People: one member per person, the fans they are at each account, and what proves that they are one."""
