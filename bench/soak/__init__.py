"""`bench soak`: a plant for minutes on end, with people looking on."""
