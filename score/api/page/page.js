// The page for people: what the model is, a form made from its contract, and a CSV scored in chunks.
// The key, if the service has one, is kept in a variable here and nowhere else.
"use strict"

const ROWS = 500 // of a file, in one request
const SHOWN = 50 // refused rows that are listed; all are in the file
const PATIENCE = 8 // times that a busy service is asked again
const NOUNS = {integer: "a whole number", number: "a number", boolean: "true or false", category: "one of a list", string: "text", datetime: "a date"}

const $ = id => document.getElementById(id)
const SCORE = new URL("score", document.baseURI).href
let key = ""
let model, missing, booleans // the last two: what the text of a CSV's cell may stand for

/** An element with attributes and children; what is no element becomes text, so that nothing is ever read as HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value)
  element.append(...children)
  return element
}

function ask(url, options = {}) {
  const headers = {...options.headers, ...(key && {Authorization: `Bearer ${key}`})}
  return fetch(url, {...options, headers, cache: "no-store"})
}

/** POST to score; a service that is busy is asked again when it says so. */
async function score(body, signal, url = SCORE) {
  for (let attempt = 0; ; attempt++) {
    const reply = await ask(url, {method: "POST", body, signal, headers: {"Content-Type": "application/json"}})
    if (reply.status !== 503 || attempt === PATIENCE) return reply
    const seconds = Number(reply.headers.get("Retry-After")) || 1
    await new Promise(resolve => setTimeout(resolve, Math.min(seconds, 30) * 1000))
  }
}

/** Return the columns with values unlike training's. */
function flagged(reply) {
  const names = ["X-Out-Of-Range", "X-Unseen-Values"].map(header => reply.headers.get(header)).filter(Boolean)
  return names.flatMap(text => text.split(", ")).map(decodeURIComponent)
}

/** Return the problems and the text of a reply that is not 200. */
async function describeRefusal(reply) {
  const document = await reply.json().catch(() => ({}))
  return {problems: document.problems ?? [], text: document.detail ?? `the service answered ${reply.status}`}
}

// Values: pieces of JSON text, so that no number is rounded on its way

function numeral(text) {
  const plain = text.trim()
  if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(plain)) return plain
  return plain !== "" && !/[box]/i.test(plain) && Number.isFinite(Number(plain)) ? String(Number(plain)) : JSON.stringify(text)
}

const isAware = column => column.dtype.includes(",")
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/** A date written as in training's table as ISO 8601; other text stays, to be accepted or refused by the service. */
function isoDate(column, text) {
  const form = model.table?.dates?.[column.name] ?? "ISO8601"
  if (form === "ISO8601") return text
  const names = [], digits = {Y: "(\\d{4})", f: "(\\d{1,6})", p: "([AaPp][Mm])", b: "([A-Za-z]+)", B: "([A-Za-z]+)"}
  const escaped = form.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  const pattern = escaped.replace(/%([A-Za-z])/g, (_, name) => { names.push(name); return digits[name] ?? "(\\d{1,2})" })
  const found = new RegExp(`^${pattern}$`).exec(text)
  if (!found || names.some(name => !"YmdbBHIMSfp".includes(name))) return text
  const part = Object.fromEntries(names.map((name, index) => [name, found[index + 1]]))
  const month = part.m ?? MONTHS.indexOf((part.b ?? part.B ?? "").slice(0, 3).toLowerCase()) + 1
  const hour = part.I ? Number(part.I) % 12 + (/p/i.test(part.p) ? 12 : 0) : part.H ?? 0
  const two = number => String(number).padStart(2, "0")
  const time = [hour, part.M ?? 0, part.S ?? 0].map(two).join(":") + (part.f ? `.${part.f}` : "")
  return `${part.Y}-${two(month)}-${two(part.d ?? 1)}T${time}${isAware(column) ? "Z" : ""}`
}

function piece(column, text) {
  if (column.kind === "integer" || column.kind === "number") return numeral(text)
  if (column.kind === "boolean") return JSON.stringify(booleans.get(text) ?? text)
  if (column.kind === "datetime") return JSON.stringify(isoDate(column, text))
  if (column.kind !== "category") return JSON.stringify(text)
  const same = value => String(value) === text || (typeof value === "boolean" && booleans.get(text) === value) ||
    (typeof value === "number" && text.trim() !== "" && Number(text) === value)
  const known = column.categories.find(same)
  if (known !== undefined) return JSON.stringify(known)
  return column.categories.every(value => typeof value === "number") && column.categories.length ? numeral(text) : JSON.stringify(text)
}

// The form

function hint(column) {
  if (column.unseen === "accept") return `one of ${column.categories.length} values that training saw, or another`
  if (column.kind === "category" || column.kind === "boolean") return ""
  const {minimum, maximum} = column
  const zone = column.kind === "datetime" && isAware(column) ? " in UTC" : ""
  return NOUNS[column.kind] + zone + (minimum == null ? "" : `, ${minimum} to ${maximum} in training`)
}

function control(column, id) {
  const described = {id, name: column.name, "aria-describedby": `${id}-hint ${id}-error ${id}-warn`, "aria-required": String(!column.missing)}
  if (column.unseen === "accept") { // a list to choose from, or any other value
    const list = make("datalist", {id: `${id}-list`}, ...column.categories.map(value => make("option", {value: String(value)})))
    const input = make("input", {...described, type: "text", list: `${id}-list`, autocomplete: "off", spellcheck: "false"})
    input.defaultValue = column.example ?? ""
    return [input, list]
  }
  const values = column.kind === "boolean" ? [false, true] : column.kind === "category" ? column.categories : null
  if (!values) {
    if (column.kind === "datetime") return dateField(column, described)
    const mode = {integer: "numeric", number: "decimal"}[column.kind]
    const input = make("input", {...described, type: "text", inputmode: mode, autocomplete: "off", spellcheck: "false"})
    input.defaultValue = column.example ?? ""
    return input
  }
  const select = make("select", described)
  if (column.missing) select.append(make("option", {value: "null"}, "(missing)"))
  for (const value of values) {
    const option = make("option", {value: JSON.stringify(value)}, String(value))
    option.defaultSelected = value === column.example
    select.append(option)
  }
  return select
}

/** A date field, with a time where training's dates have one. */
function dateField(column, described) {
  const dates = [column.example, column.minimum, column.maximum].filter(text => text != null)
  const input = make("input", {...described, type: dates.some(text => text.includes("T")) ? "datetime-local" : "date", step: "any"})
  const [day, time] = (column.example ?? "").replace("Z", "").split("T")
  input.defaultValue = input.type === "date" || !day ? day : `${day}T${time ?? "00:00"}`
  return input
}

function field(column, index) {
  const id = `field-${index}`
  const label = make("label", {for: id}, column.name, ...(column.missing ? [make("span", {class: "optional"}, " (may be empty)")] : []))
  const notes = [["hint", hint(column)], ["error", ""], ["warn", ""]]
  return make("div", {}, label, ...[control(column, id)].flat(), ...notes.map(([kind, text]) => make("p", {class: kind, id: `${id}-${kind}`}, text)))
}

/** The form's row as [name, piece of JSON]. */
function row() {
  return model.columns.map((column, index) => {
    const element = $(`field-${index}`)
    if (element.tagName === "SELECT") return [column.name, element.value]
    const empty = element.value === "" && (column.missing || (column.kind !== "string" && !column.categories?.includes("")))
    const value = element.type === "datetime-local" && isAware(column) ? `${element.value}Z` : element.value
    return [column.name, empty ? "null" : piece(column, value)]
  })
}

const object = (pairs, names = {}) => `{${pairs.map(([name, value]) => `${JSON.stringify(name)}: ${names[value] ?? value}`).join(", ")}}`

function mark(index, kind, text) {
  $(`field-${index}-${kind}`).textContent = text
  if (kind === "error") $(`field-${index}`).setAttribute("aria-invalid", String(text !== ""))
}

function clear() {
  model.columns.forEach((_, index) => { mark(index, "error", ""); mark(index, "warn", "") })
}

/** Show each problem at its field; those without one all together, with how to go on. */
function refuse({problems, text}) {
  const left = []
  let first
  for (const {column, problem, expected} of problems) {
    const index = model.columns.findIndex(({name}) => name === column)
    if (index < 0) { left.push(`${column ?? "the request"}: ${problem}; expected ${expected}`); continue }
    mark(index, "error", `${problem}; expected ${expected}`)
    first ??= $(`field-${index}`)
  }
  const words = problems.length ? left : [text]
  const many = problems.length - left.length
  if (many) words.push(`${many === 1 ? "One value is" : `${many} values are`} not what the model takes: the form says what it needs.`)
  $("answer").replaceChildren(...words.map(line => make("p", {class: "error"}, line)))
  first?.focus()
}

function chance(label, probability) {
  const bar = make("div")
  bar.style.width = `${100 * probability}%`
  const number = make("span", {class: "number"}, `${(100 * probability).toFixed(1)} % `, make("code", {}, String(probability)))
  return make("div", {class: "chance"},
    make("div", {class: "names"}, make("span", {}, String(label)), number),
    make("div", {class: "track", "aria-hidden": "true"}, bar))
}

function answer({predictions: [prediction], probabilities, classes}) {
  const what = classes ? "predicted class" : "predicted value"
  const chances = probabilities ? classes.map((label, code) => chance(label, probabilities[0][code])) : []
  $("answer").replaceChildren(
    make("p", {class: "prediction"}, make("small", {}, what), make("span", {id: "prediction"}, String(prediction))),
    ...(chances.length ? [make("h3", {}, "Probability of each class"), ...chances] : []))
}

async function submit(event) {
  event.preventDefault()
  clear()
  const button = $("ask").querySelector("button")
  button.disabled = true
  try {
    offerExplanation(null)
    const body = `{"data": [${object(row())}]}`
    const reply = await score(body)
    if (!reply.ok) return refuse(await describeRefusal(reply))
    answer(await reply.json())
    offerExplanation(body)
    for (const name of flagged(reply)) {
      const index = model.columns.findIndex(column => column.name === name)
      if (index >= 0) mark(index, "warn", "Training saw no value like this: trust the answer less.")
    }
  } catch (error) {
    refuse({problems: [], text: `The service cannot be reached (${error.message}).`})
  } finally {
    button.disabled = false
  }
}

// The same request in code

function snippets() {
  const pairs = row(), body = `{"data": [${object(pairs)}]}`, python = {null: "None", true: "True", false: "False"}
  const shell = text => `'${text.replaceAll("'", `'\\''`)}'`
  return {
    curl: [`curl ${shell(SCORE)} \\`, "  -H 'Content-Type: application/json' \\",
      ...(model.keyed ? [`  -H "Authorization: Bearer $SCORE_KEY" \\`] : []), `  -d ${shell(body)}`],
    Python: ["import json", ...(model.keyed ? ["import os"] : []), "from urllib.request import Request, urlopen", "",
      `rows = [${object(pairs, python)}]`,
      `headers = {"Content-Type": "application/json"${model.keyed ? `, "Authorization": f"Bearer {os.environ['SCORE_KEY']}"` : ""}}`,
      `request = Request(${JSON.stringify(SCORE)}, json.dumps({"data": rows}).encode(), headers)`,
      "with urlopen(request) as reply:", "    print(json.load(reply))"],
    JavaScript: [`const rows = [${object(pairs)}]`, `const reply = await fetch(${JSON.stringify(SCORE)}, {`, `  method: "POST",`,
      `  headers: {"Content-Type": "application/json"${model.keyed ? ", Authorization: `Bearer ${process.env.SCORE_KEY}`" : ""}},`,
      "  body: JSON.stringify({data: rows}),", "})", "console.log(await reply.json())"],
  }
}

function showCode() {
  for (const [language, lines] of Object.entries(snippets())) $(`code-${language}`).textContent = lines.join("\n")
}

function codeBox(language, open) {
  const pre = make("pre", {id: `code-${language}`, tabindex: "0", "aria-label": `${language} code`})
  const copy = make("button", {type: "button", class: "quiet"}, "Copy")
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent)
      copy.textContent = "Copied"
    } catch { // no clipboard but over HTTPS or on this machine: leave it selected
      getSelection().selectAllChildren(pre)
      copy.textContent = "Selected: press Ctrl+C"
    }
    setTimeout(() => { copy.textContent = "Copy" }, 3000)
  })
  return make("details", open ? {open: ""} : {}, make("summary", {}, language), make("div", {class: "snippet"}, pre, copy))
}

// A CSV

/** Takes text as it comes and gives the rows that are whole; "" ends the last one. */
function csvReader(separator) {
  let cells = [], cell = "", quoted = false, quote = false
  return text => {
    const rows = []
    const end = () => {
      cells.push(cell)
      if (cells.length > 1 || cell !== "") rows.push(cells)
      cells = []; cell = ""; quoted = false
    }
    for (const letter of text) {
      if (quote) { // a quote inside of quotes: its end, or one of two
        quote = false
        if (letter === '"') { cell += letter; continue }
        quoted = false
      }
      if (quoted) { if (letter === '"') quote = true; else cell += letter }
      else if (letter === '"' && cell === "") quoted = true
      else if (letter === separator) { cells.push(cell); cell = "" }
      else if (letter === "\n") end()
      else if (letter !== "\r") cell += letter
    }
    if (text === "" && (cells.length || cell !== "")) end()
    return rows
  }
}

const csvLine = cells => `${cells.map(cell => /[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell).join(",")}\n`

/** Of comma, semicolon and tab the one that makes most columns of a header. */
function separatorOf(header) {
  const found = separator => csvReader(separator)(`${header}\n`)[0]?.length ?? 0
  return [",", ";", "\t"].reduce((best, each) => found(each) > found(best) ? each : best)
}

/** Scores rows as they come, refused ones apart. */
class Scoring {
  constructor(header, signal) {
    Object.assign(this, {header, signal, count: 0, lines: [], refused: [], flagged: new Set()})
    const lacking = model.columns.filter(({name}) => header.filter(each => each === name).length !== 1)
    if (lacking.length) throw new Error(`The file needs one column ${lacking.map(({name}) => `'${name}'`).join(", ")}.`)
    this.places = model.columns.map(({name}) => header.indexOf(name))
  }

  async add(rows) {
    let left = []
    for (const cells of rows) {
      if (cells.length === this.header.length) left.push([this.count, cells])
      else this.refused.push([this.count, "", `the row has ${cells.length} values`, `${this.header.length} values`])
      this.count++
    }
    while (left.length) { // a refusal names some of the problems: retry without those rows
      const reply = await score(this.body(left), this.signal)
      if (reply.ok) {
        flagged(reply).forEach(name => this.flagged.add(name))
        return this.keep(left, await reply.json())
      }
      const {problems, text} = await describeRefusal(reply)
      const wrong = new Set(problems.map(({row}) => row))
      if (!problems.length || wrong.has(null)) throw new Error(text)
      for (const {row, column, problem, expected} of problems) this.refused.push([left[row][0], column ?? "", problem, expected])
      left = left.filter((_, index) => !wrong.has(index))
    }
  }

  body(rows) {
    const cell = (column, text) => missing.has(text) && !column.categories?.includes(text) ? "null" : piece(column, text)
    const data = rows.map(([, cells]) => `[${model.columns.map((column, index) => cell(column, cells[this.places[index]])).join(",")}]`)
    return `{"columns": ${JSON.stringify(model.columns.map(({name}) => name))}, "data": [${data.join(",")}]}`
  }

  keep(rows, {predictions, probabilities, classes}) {
    this.names ??= [...this.header, "prediction", ...(probabilities ? classes.map(label => `probability_${label}`) : [])]
    rows.forEach(([, cells], index) => {
      this.lines.push(csvLine([...cells, predictions[index], ...(probabilities?.[index] ?? [])]))
    })
  }

  files(name) {
    const made = {}
    if (this.lines.length) made[`${name}.scored.csv`] = [csvLine(this.names), ...this.lines]
    if (this.refused.length) made[`${name}.rejected.csv`] = [["row", "column", "problem", "expected"], ...this.refused].map(csvLine)
    return made
  }
}

async function scoreFile(file, signal, progress) {
  const decoder = new TextDecoder("utf-8", {fatal: true})
  const stream = file.stream().getReader()
  let waiting = [], scoring, parse, start = "", read = 0
  for (let last = false; !last;) {
    const {done, value} = await stream.read()
    last = done
    let text = decoder.decode(value, {stream: !done})
    if (!parse) { // nothing is parsed before the header is there
      start += text
      if (!last && !start.includes("\n")) continue
      parse = csvReader(separatorOf(start.split("\n", 1)[0]))
      text = start
    }
    waiting.push(...parse(text), ...(last ? parse("") : []))
    scoring ??= new Scoring((waiting.shift() ?? []).map(name => name.trim()), signal)
    while (waiting.length >= ROWS || (last && waiting.length)) await scoring.add(waiting.splice(0, ROWS))
    read += value?.length ?? 0
    progress(last ? 1 : read / file.size, scoring.count)
  }
  scoring.refused.sort(([one], [other]) => one - other) // in the order of the service
  return scoring
}

let links = []

function showScored(scoring, name) {
  links.forEach(URL.revokeObjectURL)
  const files = Object.entries(scoring.files(name)).map(([file, lines]) => [file, URL.createObjectURL(new Blob(lines, {type: "text/csv"}))])
  links = files.map(([, url]) => url)
  const rows = new Set(scoring.refused.map(([row]) => row)).size
  const cells = (tag, values) => make("tr", {}, ...values.map(value => make(tag, {}, String(value))))
  const list = scoring.refused.slice(0, SHOWN).map(reason => cells("td", reason))
  $("scored").replaceChildren(
    make("p", {}, `${scoring.lines.length} rows scored${rows ? `, ${rows} refused` : ""}.`),
    ...(scoring.flagged.size ? [make("p", {class: "warn"}, `Training saw no values like some of ${[...scoring.flagged].join(", ")}.`)] : []),
    make("p", {class: "buttons"}, ...files.map(([file, href]) => make("a", {href, download: file}, `Download ${file}`))),
    ...(list.length ? [make("div", {class: "table", tabindex: "0", role: "region", "aria-label": "Refused rows"}, make("table", {},
      make("thead", {}, cells("th", ["row (from 0)", "column", "problem", "expected"])), make("tbody", {}, ...list)))] : []),
    ...(scoring.refused.length > SHOWN ? [make("p", {class: "hint"}, `The first ${SHOWN} of ${scoring.refused.length} reasons; the file has all.`)] : []))
}

async function upload(event) {
  event.preventDefault()
  const [file] = $("file").files, button = $("upload").querySelector("button"), abort = new AbortController()
  $("file-error").textContent = file ? "" : "Choose a file first."
  $("file").setAttribute("aria-invalid", String(!file))
  if (!file) return $("file").focus()
  $("scored").replaceChildren()
  button.disabled = true
  $("stop").hidden = $("progress").hidden = false
  $("stop").onclick = () => abort.abort()
  $("progress").value = 0
  try {
    showScored(await scoreFile(file, abort.signal, share => { $("progress").value = share }), file.name.replace(/\.csv$/i, ""))
  } catch (error) {
    const reasons = {AbortError: "Stopped.", TypeError: "The file is not UTF-8, or the service cannot be reached."}
    $("file-error").textContent = reasons[error.name] ?? error.message
  } finally {
    button.disabled = false
    $("stop").hidden = $("progress").hidden = true
  }
}

// What the model is

function facts(pairs) {
  return Object.entries(pairs).filter(([, text]) => text).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])
}

const moment = time => new Date(time).toLocaleString([], {dateStyle: "medium", timeStyle: "short"})

function describe() {
  const {training, classes, version, run_id: run, data, trained, written, fingerprint, spec_hash: spec, rebuild, gate, versions} = model
  const params = Object.entries(training?.params ?? {}).map(([name, value]) => `${name}=${value}`).join(", ")
  document.title = $("name").textContent = model.model_name
  const what = training?.target ? `${training.target}: ` : ""
  const labels = classes && `one of ${classes.length} classes, ${classes.slice(0, 10).join(", ")}${classes.length > 10 ? ", …" : ""}`
  const made = [version && `Version ${version}`, trained && `trained ${moment(trained)}`, data && `on ${data}`].filter(Boolean)
  $("summary").textContent = `Predicts ${what}${labels ?? "a number"}.`
  $("made").textContent = made.join(" · ")
  $("facts").replaceChildren(...facts({
    Model: training && `${training.estimator}${params && ` (${params})`}`,
    "Trained on": training && `${training.training_rows} rows of ${data ?? "data"} (digest ${training.data.slice(0, 16)}); ${training.held_out_rows} held out`,
    Split: training?.split?.line,
    Labels: training?.decision?.line,
    "Fitted again": training?.fit_on === "all" && `on all ${training.training_rows + training.held_out_rows} rows; the metrics are those of the fit on ${training.training_rows}`,
    Trained: trained && moment(trained),
    Packaged: moment(written),
    Decision: gate,
    Version: version && (run ? `${version}, of run ${run}` : version),
    Fingerprint: fingerprint,
    "Spec hash": spec,
    "Rebuilt by": rebuild && make("code", {}, rebuild),
    Versions: Object.entries(versions).map(pair => pair.join(" ")).join(", "),
  }))
  const metrics = Object.fromEntries(Object.entries(training?.metrics ?? {}).map(([name, value]) => [name.replaceAll("_", " "), withInterval(value, training.intervals?.[name])]))
  $("metrics").hidden = !training
  $("metrics").querySelector("dl").replaceChildren(...facts(metrics))
}

/** A score with its interval; rounding moves a bound by at most a hundredth of the half-width. */
function withInterval(value, interval) {
  if (!interval) return String(value)
  const digits = Math.max(0, Math.ceil(-Math.log10((interval.high - interval.low) / 100)))
  const [score, low, high] = [value, interval.low, interval.high].map(number => number.toFixed(digits))
  return `${score} (${Math.round(100 * interval.level)} %: ${low} to ${high})`
}

async function showFigures() {
  for (const name of model.figures) {
    const reply = await ask(new URL(`page/figures/${encodeURIComponent(name)}`, document.baseURI)) // not by <img>, which sends no key
    if (!reply.ok) continue
    const title = name.replace(/\.png$/, "").replaceAll("_", " ")
    $("figures").append(make("figure", {}, make("img", {src: URL.createObjectURL(await reply.blob()), alt: title})))
  }
}

async function open() {
  const reply = await ask(new URL("page/model.json", document.baseURI))
  if (reply.status === 401) {
    $("summary").textContent = "This service needs a key."
    $("key-error").textContent = key ? "This is not the service's key." : ""
    $("key").setAttribute("aria-invalid", String(key !== ""))
    $("unlock").hidden = false
    return $("key").focus()
  }
  model = await reply.json()
  missing = new Set(model.cells.missing)
  booleans = new Map(Object.entries(model.cells.booleans))
  $("unlock").hidden = true
  describe()
  $("fields").replaceChildren(...model.columns.map(field))
  $("code").replaceChildren(...["curl", "Python", "JavaScript"].map((language, index) => codeBox(language, index === 0)))
  showCode()
  $("main").hidden = false
  await showFigures()
}

$("unlock").addEventListener("submit", event => { event.preventDefault(); key = $("key").value.trim(); $("key").value = ""; open() })
$("ask").addEventListener("submit", submit)
$("ask").addEventListener("input", showCode)
$("ask").addEventListener("reset", () => setTimeout(() => { clear(); showCode() })) // after the fields have their values back
$("upload").addEventListener("submit", upload)
open().catch(error => { $("summary").textContent = `The service cannot be reached (${error.message}).` })
