"""The rows of `checkvalve bench outputs`: one module a kind of destination, each with `measure(runs)`."""
