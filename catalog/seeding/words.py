"""The vocabulary of the demo shop: departments with their brands, three levels of categories, and phrases.

A line of LEAVES is `department / group / leaf: nouns | materials | options | lowest-highest price | grams`.
"""
# ruff: noqa: E501 (a line of a table stays a line)

from dataclasses import dataclass


def split_words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


BRANDS = {
    "Home": "Nordholm, Alder & Ash, Casa Lumen, Fernhill, Oak & Ember, Studio Brevik, Lindqvist, Hearthside, Paloma Living,"
    " Tidewater, Mossgrove, Kiln Street",
    "Kitchen": "Copperleaf, Brasa, Maison Verel, Stoneware Co., Hibiki, Saltbox, Tavola, Ridgeway, Knead, Ironhart,"
    " Bluebell Pottery, Orchard Lane",
    "Fashion": "Halden, Marlow & Finch, Corvus, Atelier Onda, Northbound, Selva, Paper Crane, Wexford, Juniper Row,"
    " Tern, Vela, Harbour Cotton",
    "Outdoor": "Trailmark, Summit & Sea, Basecamp Nine, Larkspur, Kestrel, Granite Peak, Wayfarer, Polar Drift, Rivergear,"
    " Cairn, Stormlee, Windrose",
    "Electronics": "Auralis, Pixelforge, Nimbus, Voltaic, Quanta Audio, Lumio, Tessel, Arcwave, Helix, Sonder, Kairo, Brightside",
    "Beauty": "Wild Clay, Solenne, Ilex, Botanica Nord, Petal & Pine, Mirra, Oatmilk Lab, Verbena House, Sable, Kumo,"
    " Amberly, Thistle",
    "Food": "Old Mill, Santo Grano, Leaf & Lore, Hilltop Roasters, Marea, Golden Hive, Cacao Nueve, Brindle, Pomona,"
    " Sierra Verde, Dillweed, North Farm",
    "Toys": "Fable & Co., Little Orbit, Woodling, Kite Street, Pebble Play, Mango Moon, Bramble, Giggle Works, Tinkerlane,"
    " Papertown, Owl & Otter, Merry Maker",
}

LEAVES = """
Home / Living Room / Armchairs: Armchair, Lounge Chair, Reading Chair | Oak, Walnut, Linen, Boucle | color | 190-1450 | 14000
Home / Living Room / Coffee Tables: Coffee Table, Side Table, Nesting Table | Oak, Marble, Glass, Steel | color | 79-890 | 16000
Home / Living Room / Rugs: Rug, Runner, Hand-Tufted Rug | Wool, Jute, Cotton, Recycled Polyester | color rug | 59-1200 | 9000
Home / Bedroom / Bedding: Duvet Cover, Bed Sheet, Pillowcase Set | Linen, Cotton, Bamboo, Percale | color bed | 29-260 | 1400
Home / Bedroom / Blankets: Throw, Blanket, Weighted Blanket | Wool, Cotton, Mohair, Alpaca | color | 39-280 | 1600
Home / Bedroom / Nightstands: Nightstand, Bedside Table | Oak, Pine, Walnut, Rattan | color | 69-420 | 9000
Home / Lighting / Table Lamps: Table Lamp, Desk Lamp, Bedside Lamp | Brass, Ceramic, Steel, Paper | color | 29-340 | 2100
Home / Lighting / Pendant Lights: Pendant Light, Chandelier | Glass, Rattan, Brass, Linen | color | 49-620 | 3000
Home / Decor / Vases: Vase, Bud Vase, Planter | Ceramic, Glass, Terracotta, Stoneware | color | 14-160 | 1200
Home / Decor / Candles: Scented Candle, Pillar Candle, Candle Trio | Soy Wax, Beeswax, Rapeseed Wax | scent | 9-64 | 450
Kitchen / Cookware / Pans: Frying Pan, Saute Pan, Crepe Pan | Cast Iron, Stainless Steel, Copper, Carbon Steel | pan | 24-320 | 1900
Kitchen / Cookware / Pots: Stock Pot, Saucepan, Casserole | Cast Iron, Stainless Steel, Enamel, Aluminium | pan | 34-390 | 3600
Kitchen / Tableware / Plates: Dinner Plate, Side Plate, Pasta Plate | Stoneware, Porcelain, Enamel, Bamboo | color | 9-72 | 620
Kitchen / Tableware / Mugs: Mug, Espresso Cup, Latte Bowl | Stoneware, Porcelain, Glass, Enamel | color | 7-38 | 340
Kitchen / Tableware / Glasses: Tumbler, Wine Glass, Carafe | Glass, Crystal, Recycled Glass | pack | 8-120 | 480
Kitchen / Tools / Knives: Chef's Knife, Paring Knife, Bread Knife | Damascus Steel, Carbon Steel, Stainless Steel | one | 19-290 | 260
Kitchen / Tools / Cutting Boards: Cutting Board, Serving Board | Acacia, Maple, Walnut, Cork | board | 16-140 | 1500
Kitchen / Coffee / Coffee Makers: French Press, Pour-Over Set, Moka Pot | Glass, Stainless Steel, Ceramic, Aluminium | volume | 22-160 | 900
Kitchen / Coffee / Grinders: Coffee Grinder, Hand Grinder | Stainless Steel, Walnut, Aluminium | color | 35-260 | 1100
Fashion / Women / Dresses: Wrap Dress, Shirt Dress, Midi Dress | Linen, Cotton, Silk, Viscose | color size | 39-290 | 420
Fashion / Women / Knitwear: Cardigan, Crewneck Jumper, Rollneck | Merino, Cashmere, Cotton, Alpaca | color size | 45-320 | 480
Fashion / Women / Coats: Trench Coat, Wool Coat, Parka | Wool, Cotton, Recycled Nylon | color size | 120-690 | 1500
Fashion / Men / Shirts: Oxford Shirt, Overshirt, Camp Collar Shirt | Cotton, Linen, Flannel, Twill | color size | 29-160 | 320
Fashion / Men / Trousers: Chinos, Pleated Trousers, Jeans | Cotton, Denim, Corduroy, Wool | color size | 39-210 | 640
Fashion / Men / T-Shirts: T-Shirt, Long-Sleeve Tee, Polo | Cotton, Organic Cotton, Merino, Hemp | color size | 14-85 | 210
Fashion / Shoes / Sneakers: Sneaker, Runner, Court Shoe | Leather, Canvas, Suede, Mesh | shoe | 49-260 | 900
Fashion / Shoes / Boots: Chelsea Boot, Lace-Up Boot, Ankle Boot | Leather, Suede, Nubuck | shoe | 89-380 | 1500
Fashion / Accessories / Bags: Tote Bag, Crossbody Bag, Weekender | Leather, Canvas, Nylon, Waxed Cotton | color | 29-420 | 800
Fashion / Accessories / Scarves: Scarf, Shawl, Bandana | Silk, Cashmere, Merino, Cotton | color | 15-190 | 180
Outdoor / Camping / Tents: Two-Person Tent, Trekking Tent, Family Tent | Ripstop Nylon, Polyester, Canvas | color | 99-890 | 3200
Outdoor / Camping / Sleeping Bags: Sleeping Bag, Quilt, Liner | Down, Synthetic Fill, Merino | color | 49-480 | 1300
Outdoor / Camping / Stoves: Camp Stove, Cook Set, Kettle | Titanium, Aluminium, Stainless Steel | one | 19-210 | 600
Outdoor / Hiking / Backpacks: Backpack, Daypack, Hip Pack | Ripstop Nylon, Canvas, Recycled Polyester | color | 35-320 | 1200
Outdoor / Hiking / Jackets: Rain Jacket, Down Jacket, Softshell | Recycled Nylon, Goretex, Polyester | color size | 69-520 | 520
Outdoor / Hiking / Bottles: Water Bottle, Insulated Flask | Stainless Steel, Titanium, Aluminium | volume | 12-69 | 340
Outdoor / Cycling / Helmets: Road Helmet, Urban Helmet, Trail Helmet | Polycarbonate, Carbon | color size | 39-280 | 310
Outdoor / Cycling / Lights: Bike Light, Headlight, Light Set | Aluminium, Polycarbonate | one | 15-150 | 120
Electronics / Audio / Headphones: Headphones, Studio Headphones, Earbuds | Aluminium, Polycarbonate, Leather | color | 29-690 | 280
Electronics / Audio / Speakers: Bluetooth Speaker, Bookshelf Speaker, Soundbar | Walnut, Aluminium, Fabric | color | 39-980 | 2600
Electronics / Computing / Keyboards: Mechanical Keyboard, Compact Keyboard | Aluminium, Polycarbonate, Bamboo | color | 49-290 | 900
Electronics / Computing / Storage: Portable SSD, Memory Card, USB Drive | Aluminium, Polycarbonate | storage | 12-420 | 60
Electronics / Smart Home / Sensors: Motion Sensor, Door Sensor, Climate Sensor | Polycarbonate, Aluminium | pack | 14-120 | 70
Electronics / Smart Home / Bulbs: Smart Bulb, Light Strip, Smart Plug | Glass, Polycarbonate | pack | 9-140 | 90
Electronics / Power / Chargers: Wall Charger, Wireless Charger, Power Bank | Aluminium, Fabric, Bamboo | color | 15-160 | 220
Beauty / Skincare / Creams: Day Cream, Night Cream, Hand Cream | Shea, Oat, Calendula, Squalane | volume small | 9-95 | 110
Beauty / Skincare / Serums: Face Serum, Eye Serum, Facial Oil | Vitamin C, Hyaluronic, Rosehip, Niacinamide | volume small | 12-140 | 60
Beauty / Bath / Soaps: Bar Soap, Hand Wash, Body Wash | Olive Oil, Charcoal, Lavender, Goat Milk | scent | 5-32 | 180
Beauty / Bath / Towels: Bath Towel, Hand Towel, Bathrobe | Cotton, Linen, Bamboo | color | 14-130 | 600
Beauty / Hair / Shampoos: Shampoo, Conditioner, Hair Mask | Argan, Rosemary, Aloe, Coconut | volume small | 8-54 | 320
Beauty / Fragrance / Perfumes: Eau de Parfum, Eau de Toilette, Perfume Oil | Cedar, Bergamot, Iris, Vetiver | volume small | 29-240 | 190
Food / Drinks / Coffee: Coffee Beans, Ground Coffee, Espresso Blend | Ethiopia, Colombia, Guatemala, Kenya | weight | 8-49 | 500
Food / Drinks / Tea: Loose Leaf Tea, Herbal Tea, Matcha | Assam, Sencha, Rooibos, Peppermint | weight | 6-58 | 150
Food / Pantry / Olive Oil: Olive Oil, Infused Oil | Picual, Arbequina, Koroneiki | volume | 9-68 | 900
Food / Pantry / Pasta: Spaghetti, Rigatoni, Tagliatelle | Durum Wheat, Spelt, Red Lentil | pack | 2-14 | 500
Food / Pantry / Honey: Honey, Creamed Honey | Acacia, Heather, Lime Blossom, Chestnut | weight | 6-32 | 400
Food / Sweets / Chocolate: Chocolate Bar, Truffles, Drinking Chocolate | Dark Cacao, Milk Cacao, Hazelnut, Sea Salt | pack | 3-39 | 120
Food / Sweets / Biscuits: Shortbread, Oat Biscuits, Cantuccini | Butter, Almond, Ginger, Lemon | pack | 3-18 | 250
Toys / Building / Blocks: Building Blocks, Marble Run, Train Set | Beech, Maple, Recycled Plastic | pack | 14-160 | 1400
Toys / Building / Puzzles: Jigsaw Puzzle, Shape Puzzle | Cardboard, Beech, Cork | pieces | 8-62 | 600
Toys / Soft Toys / Animals: Bear, Rabbit, Fox, Whale | Organic Cotton, Wool, Plush | color | 12-79 | 260
Toys / Games / Board Games: Strategy Game, Family Game, Card Game | Cardboard, Beech | one | 9-85 | 900
Toys / Outdoor Play / Ride-Ons: Balance Bike, Scooter, Push Car | Birch, Aluminium, Steel | color | 45-280 | 4200
""".strip()

SERIES = split_words(
    "Alba, Aren, Asker, Bexley, Bruna, Calder, Cleo, Dalia, Dune, Eira, Elba, Esker, Farrow, Fjord, Flint, Gala, Greta, Hollis, "
    "Holm, Ida, Inga, Isola, Jasper, Juno, Kasa, Keld, Lena, Linden, Loma, Luna, Mara, Milo, Mistral, Nola, Nova, Odin, Olsen, "
    "Orla, Otto, Paloma, Pera, Quill, Remy, Rhea, Rune, Sable, Saga, Sienna, Sol, Tarn, Thea, Tova, Ula, Umber, Vega, Vera, "
    "Wren, Yara, Zeno, Zola"
)

COLORS = split_words("Black, White, Sand, Charcoal, Olive, Navy, Rust, Sage, Cream, Clay, Indigo, Mustard, Teal, Plum")

# What a customer chooses: the option's name, its values, and the share that each next value adds to the price.
OPTIONS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "color": ("color", COLORS, 0.0),
    "size": ("size", ("XS", "S", "M", "L", "XL"), 0.0),
    "shoe": ("size", ("37", "38", "39", "40", "41", "42", "43", "44"), 0.0),
    "rug": ("size", ("70 x 140 cm", "120 x 180 cm", "170 x 240 cm", "200 x 300 cm"), 0.6),
    "bed": ("size", ("Single", "Double", "King"), 0.3),
    "board": ("size", ("Small", "Medium", "Large"), 0.35),
    "pan": ("size", ("20 cm", "24 cm", "28 cm", "32 cm"), 0.2),
    "volume": ("volume", ("350 ml", "500 ml", "750 ml", "1 l"), 0.25),
    "small": ("edition", ("Travel", "Standard", "Refill"), 0.3),
    "weight": ("weight", ("250 g", "500 g", "1 kg"), 0.8),
    "scent": ("scent", ("Cedar", "Lavender", "Fig", "Citrus", "Unscented"), 0.0),
    "pack": ("pack", ("Single", "Pack of 3", "Pack of 6"), 1.6),
    "storage": ("capacity", ("128 GB", "256 GB", "512 GB", "1 TB"), 0.7),
    "pieces": ("pieces", ("100", "500", "1000"), 0.3),
}

OPENINGS = (
    "The {title} is made of {material} by {brand} and meant for every day.",
    "{brand} makes the {title} in small batches; the {material} is chosen by hand.",
    "A quiet classic: the {title} brings {material} and a clear line together.",
    "With the {title}, {brand} shows what {material} can do.",
)
MIDDLES = (
    "It arrives ready to use and fits in wherever it is needed.",
    "Its form has hardly changed in years, because nothing had to be added.",
    "Every detail has been tested for a year before it went on sale.",
    "The finish grows better with use, and small marks belong to it.",
    "It weighs about {weight} g and is packed without plastic.",
)
CLOSINGS = (
    "Designed in Lisbon, made in Portugal.",
    "Made in a family workshop in Denmark.",
    "Returns are free for 60 days, repairs for two years.",
    "Part of the {series} series in {category}.",
    "A good present, and one that stays.",
)
VIEWS = ("front view", "detail of the material", "in use", "side view")


@dataclass(frozen=True)
class Leaf:
    """A category of the third level and what is sold there. Prices are in whole currency units, weight in grams."""

    path: tuple[str, ...]
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    options: tuple[str, ...]
    lowest: int
    highest: int
    weight: int


def read_leaf(line: str) -> Leaf:
    path, _, rest = line.partition(": ")
    nouns, materials, options, prices, weight = (part.strip() for part in rest.split("|"))
    lowest, highest = prices.split("-")
    kinds = () if options == "one" else tuple(options.split())
    names = tuple(path.split(" / "))
    return Leaf(names, split_words(nouns), split_words(materials), kinds, int(lowest), int(highest), int(weight))


CATALOGUE = tuple(read_leaf(line) for line in LEAVES.splitlines())
DEPARTMENT_BRANDS = {department: split_words(names) for department, names in BRANDS.items()}
