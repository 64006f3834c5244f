"""Private helpers shared by the rooms; nothing here is public."""
