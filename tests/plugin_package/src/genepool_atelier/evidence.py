"""Evidence: the atelier's renderer stamps its pictures, and its painters' folder is named for them."""

from genepool.records import Evidence

STAMP = b"ATELIER-RENDERER/"


class StampReader:
    """Our renderer appends ``ATELIER-RENDERER/<model>;`` after the end of every file that it writes."""

    name = "atelier-stamp"
    version = "1"
    ceiling = 3.0

    def prepare(self):
        """Nothing to load."""

    def read(self, view):
        tail = view.data[-64:]
        at = tail.rfind(STAMP)
        if at < 0:
            return
        model = tail[at + len(STAMP) :].split(b";")[0].decode("ascii", "replace")
        yield Evidence(
            "", "ai", 3.0, 3.0, model=model, detail=f"stamped by the atelier's renderer as {model}"
        )


class HintReader:
    """A weaker witness: whatever lies in a folder called ``painted`` was probably painted."""

    name = "atelier-hint"
    version = "1"
    ceiling = 1.0

    def prepare(self):
        """Nothing to load."""

    def read(self, view):
        if "painted" in view.sample.item.uri.split("/"):
            yield Evidence("", "human", -1.0, 1.0, detail="lies in the folder of painted work")
