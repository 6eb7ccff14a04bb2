"""PrestaShop's template for imports and its list of products, in the languages of shops."""

import pytest

from catalog.imports.errors import BadFile
from catalog.writes.drafts import ProductDraft
from tests.catalog.imports.test_formats import draft, list_urls, name_links, read, refuse, show, table


def test_prestashops_template_is_read() -> None:
    header = ("Product ID", "Active (0/1)", "Name *", "Categories (x,y,z...)", "Price tax excluded", "Reference #")
    header += ("Manufacturer", "EAN13", "Weight", "Quantity", "Description", "Image URLs (x,y,z...)", "URL rewritten")
    mug = ("1", "1", "Mug", "Home,Kitchen", "9.50", "M-1", "Acme", "4006381333931", "0.4", "7", "Big")
    mug += ("https://i.example/1.jpg,https://i.example/2.jpg", "big-mug")
    (product,) = draft(table(header, mug, separator=";"), weight_unit="kg")
    assert (product.sku, product.slug) == ("M-1", "big-mug")
    assert name_links(product) == {"brand": "Acme", "category": "Home"}
    assert show(product) == [("M-1", {}, "9.50", 400, {"main": 7})]
    assert len(list_urls(product)) == 2
    assert "Weight: '0.4' has no unit" in refuse(table(header, mug, separator=";"))[0]
    with pytest.raises(BadFile, match="PrestaShop's table of combinations"):
        read("Product ID*;Attribute (Name:Type:Position)*;Value (Value:Position)*;Impact on price\n1;Size;S;2\n")


# The columns of a template for imports, or of the list of products, as shops in these languages name them.
PRESTASHOPS = (
    "ID;Aktiv (0/1);Name *;Kategorien (x,y,z...);Preis zzgl. MwSt.;Artikel-Nr. #;Lieferanten-Nr.;Hersteller;EAN13;"
    "Gewicht;Menge;Kurzbeschreibung;Tags (x, y, z. ..);Meta-Titel;Benutzerfreundliche URL;"
    "URLs der Bilder (x, y, z. ..)",
    "ID;Actif (0/1);Nom*;Catégories (x,y,z...);Prix HT;Référence;Référence fournisseur;Marque;EAN-13;"
    "Poids;Quantité;Récapitulatif;Mot-clés (x,y,z...);Balise titre;URL réécrite;URL des images (x,y,z, etc.)",
    "ID;Activo (0/1);Nombre*;Categorías (x,y,z...);Precio impuestos excluidos;Referencia nº;N° de referencia proveedor;"
    "Marca;EAN13;Peso;Cantidad;Resumen;Etiquetas (x,y,z...);Meta-título;Enlace reescrito;"
    "URL's de las imágenes (x,y,z...)",
    "ID;Attivo (0/1);Nome *;Categorie (x, y, z...);Prezzo tasse escluso;Riferimento;Riferimento fornitori;Produttore;"
    "EAN13;Peso;Quantità;Breve descrizione;Tag (x, y, z...);Meta titolo;URL comprensibile;"
    "URL delle immagini (x,y,z...)",
    "ID;Aktywny (0 lub 1);Nazwa*;Kategorie (x,y,z...);Cena bez podatku. (netto);Indeks #;Kod dostawcy;Marka;kod EAN13;"
    "Waga;Ilość;Podsumowanie;Tagi (x,y,z...);Meta-tytuł;Przepisany URL;Adresy URL zdjęcia (x,y,z...)",
)


@pytest.mark.parametrize("header", PRESTASHOPS)
def test_prestashops_template_is_read_in_the_shops_language(header: str) -> None:
    mug = ("1", "0", "Mug", "Kitchen,Home", "41.806020", "M-1", "S", "Acme", "4006381333931", "0.4", "7", "Short")
    mug += ("a,b", "SEO", "big-mug", "https://i.example/1.jpg,https://i.example/2.jpg")
    run, (product,) = read(table(header.split(";"), mug, separator=";"), weight_unit="kg")
    assert isinstance(product, ProductDraft)
    assert (product.sku, product.slug, product.fields) == ("M-1", "big-mug", {"title": "Mug", "status": "draft"})
    assert name_links(product) == {"brand": "Acme", "category": "Kitchen"}
    assert (show(product), len(list_urls(product))) == ([("M-1", {}, "41.81", 400, {"main": 7})], 2)
    assert (product.text, product.attributes) == ({"description": "Short", "seo_title": "SEO"}, {"tags": ["a", "b"]})
    assert len(run.format.list_unread()) == 1
    assert "price" in [guess["option"] for guess in run.source.notes.as_json()]


def test_prestashops_list_of_products_is_read() -> None:
    header = ("ID produit", "Nom", "Référence", "Catégorie", "Prix (HT)", "Prix (TTC)", "Quantité", "État")
    row = ("1", "Mug", "M-1", "Kitchen", "23,90 $", "28,68 $", "7", "1")
    (product,) = draft(table(header, row, separator=";"), decimal=",")
    assert (product.fields["status"], show(product)) == ("active", [("M-1", {}, "23.90", None, {"main": 7})])
    (reason,) = refuse(table(header, (*row[:4], "23,90 €", *row[5:]), separator=";"), decimal=",")
    assert reason.startswith("Prix (HT): '23,90 €' is in EUR, not in this server's USD")
    (reason,) = refuse(table(("Actif (0/1)", "Nom", "Prix HT", "Référence"), ("2", "Mug", "1", "M")))
    assert reason == "Actif (0/1): '2' is neither 1 nor 0; write 1, or 0 for a draft"


def test_prestashops_older_template_and_its_alt_texts_are_read() -> None:
    header = ("ID", "Active (0/1)", "Name *", "Price tax excluded or Price tax included", "Reference #")
    header += ("Short description", "Image URLs (x,y,z...)", "Image alt texts (x,y,z...)")
    urls = "https://i.example/1.jpg,https://i.example/2.jpg"
    rows = [("1", "1", "Nano", "41.81", "N-1", "Short", urls, "front,back"), ("2", "1", "X", "1", "N-2", "", urls, "a")]
    nano, other = draft(table(header, *rows, separator=";"))
    assert (nano.sku, nano.text["description"], show(nano)[0][2]) == ("N-1", "Short", "41.81")
    assert [image.fields.get("alt") for image in nano.images or ()] == ["front", "back"]
    assert [image.fields.get("alt") for image in other.images or ()] == [None, None]
