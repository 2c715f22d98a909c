"""What blocks carry: columns of samples, descriptions, their canonical bytes."""
