"""What the invented houses can be: neighbourhoods and categories, with frequencies and effects.

All numbers here are written by hand, in round figures. The names are those of House Prices, so
that a recipe made for the one fits the other, and the shares are roughly as there, so that what
is rare there is rare here; what anything does to the price is invented.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSING = -1

_COLUMNS = """
Id MSSubClass MSZoning LotFrontage LotArea Street Alley LotShape LandContour Utilities
LotConfig LandSlope Neighborhood Condition1 Condition2 BldgType HouseStyle OverallQual
OverallCond YearBuilt YearRemodAdd RoofStyle RoofMatl Exterior1st Exterior2nd MasVnrType
MasVnrArea ExterQual ExterCond Foundation BsmtQual BsmtCond BsmtExposure BsmtFinType1
BsmtFinSF1 BsmtFinType2 BsmtFinSF2 BsmtUnfSF TotalBsmtSF Heating HeatingQC CentralAir
Electrical 1stFlrSF 2ndFlrSF LowQualFinSF GrLivArea BsmtFullBath BsmtHalfBath FullBath
HalfBath BedroomAbvGr KitchenAbvGr KitchenQual TotRmsAbvGrd Functional Fireplaces FireplaceQu
GarageType GarageYrBlt GarageFinish GarageCars GarageArea GarageQual GarageCond PavedDrive
WoodDeckSF OpenPorchSF EnclosedPorch 3SsnPorch ScreenPorch PoolArea PoolQC Fence MiscFeature
MiscVal MoSold YrSold SaleType SaleCondition SalePrice
"""

# name, share, level (thousandths of the log price), typical year built and its spread,
# quality above the city's, lot in square feet, townhouses in a hundred, kind of zone (row of
# MSZoning below), premium per hundred years of age (thousandths of the log price)
_NEIGHBORHOODS = """
NAmes   150  -20 1960  6 -0.5  9800  1 0 -300
CollgCr 100   10 1999  7  0.4  9200  4 0 -200
OldTown  80  -70 1924 20 -0.2  8000  1 1  160
Edwards  70  -60 1955 18 -0.7  9600  5 0 -400
Somerst  60   50 2004  3  0.8  7000 30 2    0
Gilbert  55   20 1998  6  0.2 10500  0 0 -200
NridgHt  55  125 2005  2  1.7 11500 16 0    0
Sawyer   50  -25 1964  7 -0.6 10000  1 0 -300
NWAmes   50    5 1975  5  0.1 11500  1 0 -200
SawyerW  40    5 1988 12  0.1 10000  3 0 -200
BrkSide  40  -40 1931 12 -0.1  7000  0 1  200
Crawfor  35   55 1945 20  0.4 11500  4 0  660
Mitchel  35    0 1982 12 -0.2 11500  6 0 -200
NoRidge  30  130 1996  4  1.5 13500  0 0    0
Timber   25   80 1993 12  0.7 16000  1 0    0
IDOTRR   25  -95 1928 16 -0.5  8300  0 1 -100
ClearCr  20   70 1967 13  0.1 17500  0 0  200
StoneBr  15  140 1999  7  1.8 10500 40 0    0
SWISU    15  -10 1925  8  0.0  7500  0 1  400
MeadowV  12 -115 1973  3 -1.2  2300 95 1 -200
Blmngtn  12   35 2005  2  0.9  3400 97 0    0
BrDale   12  -85 1971  2 -0.3  1900 98 1 -200
Veenker   8   70 1977  6  0.6 15500  9 0    0
NPkVill   7  -35 1976  2  0.0  2800 97 0    0
Blueste   3  -30 1980  2  0.1  1800 99 1    0
"""

# One column a paragraph: `name by driver: category share effect, ...`. Shares are per thousand,
# one for each group of the driver (see `Houses.drivers`), or one for all. An effect, where it is
# not 0, is in thousandths of the log price. `NA`, always first, is a missing value.
_CATEGORIES = """
MSZoning by zone: RL 970/270/40, RM 20/660/20 -24, FV 0/0/940 +18, RH 10/20/0 -18,
    C (all) 0/50/0 -150
Street: Pave 994, Grvl 6 -54
Alley by zone: NA 982/770/850, Grvl 12/150/0 -18, Pave 6/80/150 +6
LotShape by era: Reg 800/650/520, IR1 175/310/440 +5, IR2 18/30/30 +9, IR3 7/10/10 -12
LandContour: Lvl 900, Bnk 40 -12, HLS 35 +21, Low 25 +3
Utilities: AllPub 998, NoSeWa 2 -36
LotConfig: Inside 720, Corner 180 +3, CulDSac 60 +18, FR2 35 -9, FR3 5 -15
LandSlope by contour: Gtl 985/600, Mod 14/320 +6, Sev 1/80 -12
Condition1: Norm 860, Feedr 55 -21, Artery 35 -42, RRAn 15 -15, PosN 15 +24, RRAe 8 -36,
    PosA 6 +18, RRNn 5 +6, RRNe 1 -12
Condition2 by road: Norm 997/950, Feedr 1/20 -12, Artery 0/8 -24, PosN 1/6 +24, PosA 1/4 +24,
    RRNn 0/5, RRAn 0/4, RRAe 0/3 -18
BldgType by plot: 1Fam 930/0, TwnhsE 0/730 -12, Duplex 42/0 -66, Twnhs 0/270 -36, 2fmCon 28/0 -30
HouseStyle by form: 1Story 240/610/470/560, 1.5Fin 420/70/8/0 -3, 2Story 260/170/470/400 -9,
    SLvl 5/90/25/20 +6, SFoyer 0/50/20/20 +12, 1.5Unf 35/5/0/0 -12, 2.5Unf 28/2/3/0 -6,
    2.5Fin 12/3/4/0 -6
RoofStyle: Gable 775, Hip 200 +6, Flat 10 -6, Gambrel 8 -6, Mansard 5, Shed 2 +6
RoofMatl: CompShg 979, Tar&Grv 8 -6, WdShngl 5 +36, WdShake 4 +12, Metal 1, Membran 1 +18,
    Roll 1 -18, ClyTile 1 -48
Exterior1st by era: VinylSd 220/120/656, MetalSd 210/220/50, HdBoard 20/260/130 -7,
    Wd Sdng 320/150/40 -6, Plywood 30/130/20 -6, CemntBd 15/10/70 +9, BrkFace 40/50/15 +30,
    WdShing 50/20/7, Stucco 40/18/6, AsbShng 45/15/0 -30, BrkComm 2/3/0 -48, Stone 2/1/3 +24,
    AsphShn 3/1/0 -36, ImStucc 1/1/3 +12, CBlock 2/1/0 -54
Exterior2nd by era: VinylSd 220/120/642, MetalSd 210/226/50, HdBoard 20/210/130,
    Wd Sdng 304/140/40, Plywood 30/180/30, CmentBd 15/10/70, BrkFace 30/25/10, Wd Shng 60/30/10,
    Stucco 45/20/5, AsbShng 45/15/0, Brk Cmn 5/12/1, ImStucc 3/5/8, Stone 4/3/3,
    AsphShn 5/2/0, CBlock 2/1/0, Other 2/1/1
MasVnrType by quality: None 876/688/429/150, BrkFace 110/270/400/420 +6, Stone 4/30/165/430 +12,
    BrkCmn 10/12/6/0 -12
ExterQual by quality: TA 860/880/260/10, Gd 30/110/720/400 +15, Ex 0/0/12/590 +42, Fa 110/10/8/0 -24
ExterCond by upkeep: TA 650/900/860, Gd 30/90/130 +6, Fa 290/9/7 -24, Ex 5/1/3 +6, Po 25/0/0 -48
Foundation by era: PConc 190/180/915 +9, CBlock 320/765/70, BrkTil 460/20/2 -9, Slab 8/30/8 -12,
    Stone 20/2/2 +6, Wood 2/3/3 -12
BsmtQual by era: TA 860/640/90, Gd 70/330/700 +12, Ex 5/8/205 +36, Fa 65/22/5 -15
BsmtCond by upkeep: TA 830/935/925, Gd 20/45/65 +3, Fa 140/20/10 -18, Po 10/0/0 -54
BsmtExposure by era: No 780/700/580, Av 90/130/210 +12, Gd 50/80/130 +33, Mn 80/90/80 +5
BsmtFinType1 by era: Unf 460/230/330, GLQ 60/150/520 +12, ALQ 150/210/90 +3, BLQ 130/165/25,
    Rec 130/165/15 -5, LwQ 70/80/20 -7
BsmtFinType2: Unf 860, Rec 40, LwQ 35, BLQ 25, ALQ 20 +5, GLQ 20 +9
Heating by era: GasA 930/985/998, GasW 45/6/2 +12, Grav 18/4/0 -54, Wall 4/4/0 -42, OthW 2/0/0 -48,
    Floor 1/1/0 -60
HeatingQC by renewal: Ex 170/300/820 +11, TA 520/459/70, Gd 220/200/100 +5, Fa 88/40/10 -18,
    Po 2/1/0 -48
CentralAir by era: Y 740/960/998, N 260/40/2 -45
Electrical by era: SBrkr 740/900/999, FuseA 190/85/1 -18, FuseF 60/13/0 -30, FuseP 8/1/0 -42,
    Mix 2/1/0 -60
KitchenQual by quality: TA 790/680/180/10, Gd 60/300/740/330 +17, Ex 4/8/60/660 +51,
    Fa 146/12/20/0 -27
Functional by upkeep: Typ 770/940/955, Min2 70/22/15 -15, Min1 60/20/18 -12, Mod 50/9/6 -30,
    Maj1 35/7/5 -42, Maj2 10/1/1 -90, Sev 5/1/0 -168
FireplaceQu by quality: Gd 270/430/590/520 +7, TA 500/480/340/190, Fa 130/50/25/10 -6,
    Ex 10/10/20/270 +27, Po 90/30/25/10 -12
GarageType by era: NA 110/50/20 -36, Attchd 210/635/825 +12, Detchd 640/265/45 -6,
    BuiltIn 12/25/100 +9, Basment 20/12/5 -3, CarPort 4/8/2 -24, 2Types 4/5/3 -18
GarageFinish by era: Unf 840/500/120, RFn 80/270/500 +6, Fin 80/230/380 +15
GarageQual by era: TA 860/960/990, Fa 115/30/2 -12, Gd 15/8/8 +9, Ex 5/1/0 +15, Po 5/1/0 -24
GarageCond by era: TA 890/970/994, Fa 85/20/1 -9, Gd 10/6/4 +6, Po 12/3/1 -18, Ex 3/1/0 -6
PavedDrive by era: Y 740/945/990, N 205/35/7 -15, P 55/20/3 -6
PoolQC: NA 995, Gd 2 +12, Ex 2 +36, Fa 1 -6
Fence by era: NA 765/713/937, MnPrv 130/165/30, GdPrv 45/55/20 +3, GdWo 50/55/10 -6,
    MnWw 10/12/3 -7
MiscFeature: NA 960, Shed 36 +3, Gar2 2 +18, Othr 1 -12, TenC 1 +18
SaleType: WD 930, COD 33 -24, ConLD 10 +15, ConLI 6 -3, ConLw 6, CWD 6 +24, Oth 5 -18, Con 4 +15,
    New 0 +15
SaleCondition: Normal 890, Abnorml 76 -66, Family 18 -30, Alloca 12 +24, AdjLand 4 -54, Partial 0
"""


@dataclass(frozen=True)
class Neighborhoods:
    """The neighbourhoods, one number each in every array; all of shape (25,)."""

    names: tuple[str, ...]
    share: NDArray[np.int64]
    level: NDArray[np.float64]
    built: NDArray[np.float64]
    spread: NDArray[np.float64]
    quality: NDArray[np.float64]
    lot: NDArray[np.float64]
    towns: NDArray[np.float64]
    zone: NDArray[np.int64]
    vintage: NDArray[np.float64]


@dataclass(frozen=True)
class Category:
    """One text column.

    Attributes:
        names: what can stand in a cell; a column's codes index this tuple, and `MISSING`, which
            is -1, stands for a missing value.
        driver: the quantity on whose group the shares depend; empty where there is none.
        shares: whole numbers, shape (groups, names), or (groups, 1 + names) where the first is
            the share of missing values.
        effects: on the log price, shape (names + 1,), the last for a missing value: that is
            where code -1 points.
    """

    names: tuple[str, ...]
    driver: str
    shares: NDArray[np.int64]
    effects: NDArray[np.float64]


def _read_neighborhoods(text: str) -> Neighborhoods:
    names, *columns = zip(*(line.split() for line in text.strip().splitlines()), strict=True)
    numbers = np.array(columns, dtype=np.float64)
    share, level, built, spread, quality, lot, towns, zone, vintage = numbers
    return Neighborhoods(
        names=names,
        share=share.astype(np.int64),
        level=level / 1000,
        built=built,
        spread=spread,
        quality=quality,
        lot=lot,
        towns=towns / 100,
        zone=zone.astype(np.int64),
        vintage=vintage / 1000,
    )


_HEAD = re.compile(r"(?P<column>\w+)(?: by (?P<driver>\w+))?: (?P<entries>.+)")
_ENTRY = re.compile(r"(?P<name>.+?) (?P<shares>[\d/]+)(?: (?P<effect>[+-]\d+))?")


def _read_category(entries: str, driver: str) -> Category:
    found = [_match(_ENTRY, entry) for entry in entries.split(", ")]
    shares = [[int(share) for share in entry["shares"].split("/")] for entry in found]
    groups = max(map(len, shares))
    effects = {entry["name"]: int(entry["effect"] or 0) / 1000 for entry in found}
    missing = effects.pop("NA", 0.0)
    return Category(
        names=tuple(effects),
        driver=driver,
        shares=np.array([row * groups if len(row) == 1 else row for row in shares]).T,
        effects=np.array([*effects.values(), missing]),
    )


def _read_categories(text: str) -> dict[str, Category]:
    lines = re.sub(r"\n +", " ", text.strip()).splitlines()
    heads = [_match(_HEAD, line) for line in lines]
    return {head["column"]: _read_category(head["entries"], head["driver"] or "") for head in heads}


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} does not read as {pattern.pattern!r}")
    return found


COLUMNS = tuple(_COLUMNS.split())
NEIGHBORHOODS = _read_neighborhoods(_NEIGHBORHOODS)
CATEGORIES: Mapping[str, Category] = _read_categories(_CATEGORIES)
