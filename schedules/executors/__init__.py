"""The executors of this floor, and the contract that all of them keep."""
