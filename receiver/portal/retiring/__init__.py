"""Tags and assets that the high side reads no more, and the changes of its configuration that say so."""
