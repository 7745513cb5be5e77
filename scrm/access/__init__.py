"""Who is signed in, and which writes they have asked for already."""
