"""Layered drawings: every edge goes down, nothing lies on anything else, and few edges cross."""

import itertools
import random

import pytest

from likewise.mathematics.layered import Gaps, layered
from likewise.mathematics.layered.layers import Net, layers_of
from likewise.mathematics.layered.order import crossings, ordered

WIDE, HIGH = 30.0, 12.0


def drawn(size, edges, width=400.0):
    return layered([(WIDE, HIGH)] * size, edges, width)


def chance_graph(size, count, seed=0):
    """A graph of chance edges between numbers near to each other, as they are in learned networks."""
    rng, edges = random.Random(seed), set()
    while len(edges) < count:
        child = rng.randrange(1, size)
        edges.add((max(child - 1 - int(rng.expovariate(0.15)), 0), child))
    return sorted(edges)


def star(size):
    return [(0, child) for child in range(1, size)]


GRAPHS = {
    "chance": (100, chance_graph(100, 150)),
    "dense": (40, chance_graph(40, 120, seed=1)),
    "star": (80, star(80)),
    "chain with shortcuts": (20, [(a, b) for a in range(20) for b in (a + 1, a + 7, 19) if a < b < 20]),
    "forest": (60, [(a // 3, a) for a in range(3, 40)]),
    "no edges": (50, []),
}


@pytest.fixture(params=list(GRAPHS))
def graph(request):
    size, edges = GRAPHS[request.param]
    return size, list(dict.fromkeys(edges))


def crossed(found, edges):
    """How often two edges without a common end cross, as drawn."""

    def turn(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def cross(a, b, c, d):
        return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0

    count = 0
    for i, j in itertools.combinations(range(len(edges)), 2):
        if not set(edges[i]) & set(edges[j]):
            ways = itertools.product(itertools.pairwise(found.routes[i]), itertools.pairwise(found.routes[j]))
            count += any(cross(*first, *second) for first, second in ways)
    return count


def test_every_edge_goes_down_from_its_parent_to_its_child(graph):
    size, edges = graph
    found = drawn(size, edges)
    for (parent, child), route in zip(edges, found.routes, strict=True):
        assert route[0] == (found.x[parent], found.y[parent] + HIGH)
        assert route[-1] == (found.x[child], found.y[child])
        assert all(upper[1] <= lower[1] for upper, lower in itertools.pairwise(route))
        for place, (upper, lower) in enumerate(itertools.pairwise(route)):
            assert upper[0] == lower[0] if place % 2 == 0 else upper[1] < lower[1]


def test_nodes_keep_their_distance_and_stay_in_the_drawing(graph):
    size, edges = graph
    found, gaps = drawn(size, edges), Gaps()
    for one, other in itertools.combinations(range(size), 2):
        aside, down = abs(found.x[one] - found.x[other]), abs(found.y[one] - found.y[other])
        assert aside >= WIDE + gaps.nodes - 1e-6 or down >= HIGH + gaps.layers - 1e-6
    assert min(found.x) >= WIDE / 2 - 1e-6
    assert min(found.y) == 0
    assert max(found.x) <= found.width - WIDE / 2 + 1e-6
    assert max(found.y) == pytest.approx(found.height - HIGH)


def test_no_edge_passes_through_a_node(graph):
    size, edges = graph
    found, room = drawn(size, edges), Gaps().lines
    for (parent, child), route in zip(edges, found.routes, strict=True):
        for upper, lower in itertools.pairwise(route[1:-1]):
            for node in set(range(size)) - {parent, child}:
                if upper[1] < found.y[node] + HIGH and lower[1] > found.y[node]:
                    assert abs(upper[0] - found.x[node]) >= WIDE / 2 + room - 1e-6


def test_a_drawing_is_as_narrow_as_it_may_be(graph):
    size, edges = graph
    assert drawn(size, edges, 700.0).width <= 700.0 + 1e-6


def test_trees_are_drawn_without_crossings():
    for seed in range(4):
        rng = random.Random(seed)
        edges = [(rng.randrange(child), child) for child in range(1, 60)]
        rng.shuffle(edges)
        assert crossed(drawn(60, edges, 4000.0), edges) == 0


def test_a_grid_is_drawn_without_crossings():
    edges = [
        (5 * i + j, 5 * a + b) for i in range(5) for j in range(5) for a, b in ((i + 1, j), (i, j + 1)) if a < 5 > b
    ]
    assert crossed(drawn(25, edges, 4000.0), edges) == 0


def test_two_complete_sides_cross_as_often_as_they_must():
    edges = [(a, 3 + b) for a in range(3) for b in range(4)]
    net = Net.of(layers_of([1.0] * 7, edges, 100.0, 1.0), edges)
    # Of two nodes in each of two layers, joined completely, just two of the four edges cross.
    assert crossings(ordered(net), net) == 3 * 6


def test_trunks_make_a_star_as_narrow_as_its_layers():
    found = drawn(80, star(80), 400.0)
    assert found.width <= 400.0 + 1e-6
    assert len({x for route in found.routes for x, y in route[2:-1] if y > 0}) <= len(set(found.y))


def test_a_long_edge_beside_a_chain_is_straight():
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
    found = drawn(5, edges)
    assert len({round(x, 6) for x, _ in found.routes[-1][2:-1]}) == 1
    assert len({round(x, 6) for x in found.x[1:4]}) == 1


def test_nodes_lie_as_near_to_their_children_as_there_is_room():
    edges = [(0, 1), (1, 2), (2, 3), (4, 3), (5, 3)]
    assert layers_of([1.0] * 6, edges, 100.0, 1.0) == [0, 1, 2, 3, 2, 2]
    assert layers_of([1.0] * 6, edges, 3.0, 1.0).count(2) == 2


def test_the_same_graph_is_drawn_in_the_same_way(graph):
    size, edges = graph
    assert drawn(size, edges) == drawn(size, edges)


def test_edges_that_go_round_are_refused():
    with pytest.raises(ValueError, match="go round"):
        drawn(3, [(0, 1), (1, 2), (2, 0)])


def test_nothing_is_drawn_of_nothing():
    assert layered([], [], 100.0).width == 0
