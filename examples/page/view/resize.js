/**
 * Draws a picture when its place has a size, and again whenever that changes. For those who don't see it the place has a label, and a
 * table behind it: what the picture is made of says nothing. An observer is kept alive by what it observes, and with
 * it all that the picture shows: it ends when the place leaves the page.
 */
export function drawn(place, draw) {
  const observer = new ResizeObserver(() => {
    if (place.isConnected) draw(Math.max(280, place.clientWidth));
    else observer.disconnect();
  });
  observer.observe(place);
}

/** A picture of whose parts a screen reader says nothing. */
export function unspoken(svg) {
  svg.setAttribute("aria-hidden", "true");
  return svg;
}
