/* Mermaid begins the ids of its arrow heads with the name of the diagram. The theme asks for the bare
   ids, so that the heads would stay black, also on black. Loaded between Mermaid and the theme. */
{
  const heads = ["arrowhead", "crosshead", "filled-head"].map((id) => `[id$="-${id}"] path`)
  const colour = "var(--md-mermaid-sequence-message-line-color)"
  const css = `${heads.join(", ")} { fill: ${colour}; stroke: ${colour} }`
  const initialize = mermaid.initialize
  mermaid.initialize = (config) =>
    initialize.call(mermaid, { ...config, themeCSS: `${config.themeCSS ?? ""} ${css}` })
}
