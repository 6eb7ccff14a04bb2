"""Values and requests' wishes in, final bytes out: renderers, content codings, pages for people."""
