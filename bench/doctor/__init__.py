"""What on this machine hurts figures."""
