"""From the socket to Django: processes, request slots, bodies. WSGI in, WSGI out."""
