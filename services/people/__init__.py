"""People as the processes know them: topic `people` in memory, names and contacts unsealed on demand, passwords, session tokens.

The gateway alone writes (`keeper`); whoever needs to know who is on duty follows the topic (`directory.following`).
Name and channels of a user are sealed with a key of the user's own in D/people.bin, passwords are scrypt hashes in D/passwords.json:
deleting a user erases all three, and what Kafka still holds of it can't be read by anybody.
"""
