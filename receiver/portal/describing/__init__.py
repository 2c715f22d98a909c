"""What programs may ask, told in OpenAPI and on a page."""
