"""What the account says, as a person at the simulator's phone hears it."""
