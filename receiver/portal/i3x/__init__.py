"""The plant by i3X 1.0, the open interface of CESMII for reading machines of any maker: read only, and cut to scope."""
