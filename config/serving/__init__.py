"""From the socket to Django: the processes, the request slots and the bodies; WSGI in, WSGI out."""
