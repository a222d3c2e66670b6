"""A LangGraph graph that branches, asks a person, and goes on a day later in the same session.

    pip install "spanwise[langchain]"
    python examples/langgraph_graph.py [FOLDER]

A trip is planned: a node names places, each is looked at in a branch of its own (`Send`), a
sub-graph sums up what was found, and a person has to approve. Every node is an observation; what
is decorated is below the node that calls it. The interrupt is no error, and the run that resumes
it has the same session, which is the thread's id.
"""

from __future__ import annotations

import operator
import sys
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

import spanwise

DISTANCES_KM = {"Lyon": 463, "Lille": 225, "Nantes": 386}


class Trip(TypedDict, total=False):
    """What is known of a trip so far."""

    wish: str
    places: list[str]
    found: Annotated[list[tuple[str, int]], operator.add]
    plan: str


@spanwise.tool
def distance_km(place: str) -> int:
    return DISTANCES_KM[place]


def choose(trip: Trip) -> Trip:
    return {"places": [place for place in DISTANCES_KM if place.startswith(trip["wish"])]}


def branch(trip: Trip) -> list[Send]:
    return [Send("look", {"wish": place}) for place in trip["places"]]


def look(trip: Trip) -> Trip:
    return {"found": [(trip["wish"], distance_km(trip["wish"]))]}


def nearest(trip: Trip) -> Trip:
    return {"plan": min(trip["found"], key=operator.itemgetter(1))[0]}


def approve(trip: Trip) -> Trip:
    answer = interrupt(f"Shall I book {trip['plan']}?")
    return {"plan": f"{trip['plan']}: {answer}"}


def build() -> StateGraph:
    """Return the graph, whose summary is a graph of its own."""
    summary = StateGraph(Trip)
    summary.add_node("nearest", nearest)
    summary.add_edge(START, "nearest")
    graph = StateGraph(Trip)
    graph.add_node("choose", choose)
    graph.add_node("look", look)
    graph.add_node("summary", summary.compile(name="Summary"))
    graph.add_node("approve", approve)
    graph.add_edge(START, "choose")
    graph.add_conditional_edges("choose", branch, ["look"])
    graph.add_edge("look", "summary")
    graph.add_edge("summary", "approve")
    graph.add_edge("approve", END)
    return graph


def main(folder: Path) -> None:
    """Plan a trip, approve it, and show what was traced."""
    spanwise.configure(service_name="trips", traces_dir=folder, instrument=["langchain"])
    graph = build().compile(checkpointer=InMemorySaver(), name="Trip")
    thread = {"configurable": {"thread_id": "trip of jane"}}
    with spanwise.identify(user="jane@acme.com"):
        state = graph.invoke({"wish": "L"}, thread)
        print(state["__interrupt__"][0].value)
        print(graph.invoke(Command(resume="yes, please"), thread)["plan"])
    spanwise.shutdown()

    from spanwise.cli import commands

    print(flush=True)
    commands(["show", str(folder)], standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "traces"))
