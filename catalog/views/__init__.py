"""The catalogue's endpoints. Each view names its rows, filters and orderings; config/api/viewsets.py does the rest."""
