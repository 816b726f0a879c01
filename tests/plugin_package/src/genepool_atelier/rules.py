"""A rule: nothing smaller than what our printer needs."""

from genepool.records import Case, Failure


class LargeEnough:
    """``atelier:256`` asks for a short side of 256 pixels."""

    code = "ATL101"
    name = "large-enough"
    what = "An image is smaller than the atelier prints."
    why = "Enlarged pictures teach a model the enlarger's blur."
    do = ("genepool export PATH -o OUT",)

    def __init__(self, least="256"):
        self.least = int(least)

    def judge(self, facts):
        rows = facts.images("width", "height").to_pylist()
        cases = tuple(
            Case(row["uri"], "small", f"{row['width']} × {row['height']} pixels")
            for row in rows
            if min(row["width"], row["height"]) < self.least
        )
        if not cases:
            return None
        return Failure(
            self.code,
            "fail",
            f"{len(cases)} images have a side below {self.least} pixels",
            f"leave them out: genepool export {facts.uri} -o OUT",
            cases,
        )
