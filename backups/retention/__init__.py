"""Which archives stay, and where: decided here from plain values, carried out by ``backups.services``. No Django."""
