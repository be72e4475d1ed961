// What each column adds to the answer that the page shows: a table with a bar for each column.
"use strict"

const LISTED = 30 // columns; the others are added up
let explained // the request of the answer that is shown, as JSON

/** Let the answer to a request be explained; without one there is nothing to explain. */
function offerExplanation(body) {
  explained = body
  $("explanation").hidden = true
  $("explain").hidden = !body || model.explanations.method === "none"
}

const rounded = number => String(Number(number.toPrecision(3))).replace("-", "−")
const signed = number => (number > 0 ? "+" : "") + rounded(number)

/** A row of the table; a bar to the right adds, one to the left takes away. Readers of the screen hear the number alone. */
function effect(name, value, amount, error, widest) {
  const bar = make("div", {class: amount < 0 ? "down" : "up"})
  bar.style.width = `${50 * Math.abs(amount) / (widest || 1)}%`
  return make("tr", {},
    make("th", {scope: "row"}, name), make("td", {}, value),
    make("td", {class: "number"}, signed(amount) + (error === undefined ? "" : ` ± ${rounded(error)}`)),
    make("td", {class: "effect", "aria-hidden": "true"}, bar))
}

function total(name, amount) {
  return make("tr", {class: "total"}, make("th", {scope: "row", colspan: "2"}, name), make("td", {class: "number"}, rounded(amount)), make("td"))
}

function showExplanation({predictions: [prediction], explanations}, values) {
  const {class: label, space, base, values: [amounts], errors} = explanations.find(each => each.class === prediction) ?? explanations[0]
  const sorted = Object.entries(amounts).sort(([, left], [, right]) => Math.abs(right) - Math.abs(left))
  const rest = sorted.slice(LISTED)
  const sum = pairs => pairs.reduce((all, [, amount]) => all + amount, 0)
  const widest = Math.max(Math.abs(sorted[0]?.[1] ?? 0), Math.abs(sum(rest))) // many small ones may be the longest bar
  const rows = sorted.slice(0, LISTED).map(([name, amount]) => effect(name, String(values[name] ?? "(missing)"), amount, errors?.[0][name], widest))
  if (rest.length) rows.push(effect(`${rest.length} other columns`, "", sum(rest), undefined, widest))
  const what = label === undefined ? `the ${space}` : `the ${space} of ${label}`
  const heads = ["Column", "Value", "Adds"].map(name => make("th", {scope: "col"}, name))
  $("explanation").replaceChildren(
    make("h3", {id: "explanation-title"}, `What each column adds to ${what}`),
    make("div", {class: "table"}, make("table", {"aria-labelledby": "explanation-title"},
      make("thead", {}, make("tr", {}, ...heads, make("td", {"aria-hidden": "true"}))),
      make("tbody", {}, total("Where no column is known", base), ...rows, total("All together", base + sum(sorted))))),
    ...(errors ? [make("p", {class: "hint"}, "Estimated: behind ± stands the standard error.")] : []))
}

async function explain() {
  const button = $("explain")
  button.disabled = true
  try {
    const reply = await score(explained, undefined, `${SCORE}?explain=true`)
    if (reply.ok) showExplanation(await reply.json(), JSON.parse(explained).data[0])
    else $("explanation").replaceChildren(make("p", {class: "error"}, (await describeRefusal(reply)).text))
  } catch (error) {
    $("explanation").replaceChildren(make("p", {class: "error"}, `The service cannot be reached (${error.message}).`))
  } finally {
    button.disabled = false
  }
  $("explanation").hidden = false
  $("explanation").focus()
}

$("explain").addEventListener("click", explain)
