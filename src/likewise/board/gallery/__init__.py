"""All families on the toys of the plane: what each of them takes a known distribution for."""
