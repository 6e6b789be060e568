/** check(model): the rules that a model must keep (ONNX IR.md, and the op table), after reading and after every pass. */
import { suggest, TenonError } from "../base/index.js";
import { dtypeInfo } from "../tensor/core.js";
import { checkNodeAgainstRow, checkSubgraphArity } from "./check-node.js";
import { checkDeclared, checkTypes, type TypeName, typeName } from "./check-types.js";
import { defect, describeNode, nodeDefect } from "./defect.js";
import { type FunctionDef, functionKey, type Graph, type Model, type Node, subgraphsOf } from "./graph.js";
import { introducedIn, isListed, opRow, opsOf } from "./spec.js";
import { checkTensorData } from "./tensor-data.js";

/** Where a check is. */
interface Place {
  readonly model: Model;
  readonly opsets: ReadonlyMap<string, number>;
  /** The function whose body this is. */
  readonly inside: FunctionDef | undefined;
}

interface Scope extends Place {
  readonly names: Names;
  /** Declared types of this graph's values. */
  readonly declared: (name: string) => TypeName;
}

/** What `Names` knows of a value that nothing defines. */
const UNDEFINED = Symbol("undefined");

/** The values of a graph with their types and, through `outer`, those around it. */
class Names {
  readonly own = new Map<string, TypeName>();
  readonly #outer: Names | undefined;

  constructor(outer?: Names) {
    this.#outer = outer;
  }

  has(name: string): boolean {
    return this.own.has(name) || (this.#outer?.has(name) ?? false);
  }

  /** The type, where it is known. Names are long and many, so each is looked up once where that suffices. */
  typeOf(name: string): TypeName | typeof UNDEFINED {
    const type = this.own.get(name);
    if (type !== undefined || this.own.has(name)) return type;
    return this.#outer === undefined ? UNDEFINED : this.#outer.typeOf(name);
  }

  /** False when the value is defined already. */
  define(name: string, type: TypeName): boolean {
    if (this.#outer?.has(name)) return false;
    const before = this.own.size;
    this.own.set(name, type);
    return this.own.size > before;
  }

  hasOuter(name: string): boolean {
    return this.#outer?.has(name) ?? false;
  }
}

/**
 * Throws MODEL_INVALID (or MODEL_UNSUPPORTED for an op that no table and no function of the model knows) with the
 * first defect, its op, node and values in `details`. `after` names the pass that ran last.
 * Linear in nodes. Ops of domains without a table are taken as they are.
 */
export function check(model: Model, options: { readonly after?: string } = {}): void {
  try {
    checkedTypes(model);
  } catch (error) {
    if (options.after === undefined || !(error instanceof TenonError)) throw error;
    throw new TenonError(error.code, {
      problem: `after pass ${options.after}: ${error.message}`,
      details: { ...error.details, pass: options.after },
      cause: error,
    });
  }
}

/** Checks a model and returns what is known about the element types of its main graph's values. */
export function checkedTypes(model: Model): ReadonlyMap<string, TypeName> {
  checkOpsets(model.opsets, model);
  checkFunctions(model);
  const names = new Names();
  checkGraph(model.graph, { model, opsets: model.opsets, inside: undefined }, names);
  return names.own;
}

function checkOpsets(opsets: ReadonlyMap<string, number>, model: Model): void {
  for (const [domain, version] of opsets) {
    if (version < 1) throw defect("an opset version is below 1", { given: `"${domain}" ${version}` });
  }
  if (model.irVersion < 1) throw defect("the model states no IR version");
  if (opsets.size === 0 && model.irVersion >= 3) throw defect("the model imports no opset");
}

function checkGraph(graph: Graph, place: Place, names: Names): void {
  for (const { name, type } of graph.inputs) define(name, names, "graph input", typeName(type));
  const inputs = new Set(names.own.keys());
  for (const [name, data] of graph.initializers) {
    // An initializer with an input's name is that input's default.
    if (!inputs.has(name)) define(name, names, "initializer", dtypeInfo(data.dtype).short);
    checkTensorData(data);
  }
  for (const [name, { values, indices }] of graph.sparseInitializers) {
    if (!inputs.has(name)) define(name, names, "sparse initializer", dtypeInfo(values.dtype).short);
    checkTensorData(values);
    checkTensorData(indices);
  }
  const outputTypes = new Map(graph.outputs.map(({ name, type }) => [name, typeName(type)]));
  const { valueInfo } = graph;
  const declared = (name: string): TypeName =>
    outputTypes.get(name) ?? (valueInfo.size === 0 ? undefined : typeName(valueInfo.get(name)?.type));
  checkNodes(graph.nodes, { ...place, names, declared });
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (outputs.has(name)) throw defect("two graph outputs have the same name", { given: `"${name}"` });
    outputs.add(name);
    if (names.own.has(name)) continue;
    throw defect("a graph output is not defined", {
      given: `"${name}"`,
      ...(names.hasOuter(name) ? { do: "put an Identity between the outer value and the output" } : {}),
    });
  }
}

function define(name: string, names: Names, what: string, type: TypeName): void {
  if (name === "") throw defect(`a ${what} has no name`);
  if (names.define(name, type)) return;
  throw defect(`the ${what} "${name}" is defined twice`, { details: { value: name } });
}

function checkNodes(nodes: readonly Node[], scope: Scope): void {
  const { names } = scope;
  for (const node of nodes) {
    const inputs: TypeName[] = [];
    for (const input of node.inputs) {
      const type = input === "" ? undefined : names.typeOf(input);
      if (type !== UNDEFINED) {
        inputs.push(type);
        continue;
      }
      const later = nodes.some((other) => other.outputs.includes(input));
      throw nodeDefect(
        node,
        later ? "uses a value before it is defined" : "uses a value that nothing defines",
        {
          given: `"${input}"`,
          details: { value: input },
        },
      );
    }
    const types = checkLegality(node, inputs, scope);
    if (node.attrs.size > 0) {
      for (const graph of subgraphsOf(node)) checkGraph(graph, scope, new Names(names));
    }
    for (let i = 0; i < node.outputs.length; i++) {
      const output = node.outputs[i]!;
      if (output === "") continue;
      const declared = scope.declared(output);
      checkDeclared(output, declared, types?.[i]);
      if (names.define(output, types?.[i] ?? declared)) continue;
      throw nodeDefect(node, "defines a value that is already defined", {
        given: `"${output}"`,
        details: { value: output },
      });
    }
  }
}

/** The types of the node's outputs, where they are known. */
function checkLegality(node: Node, inputs: readonly TypeName[], scope: Scope): TypeName[] | undefined {
  for (const [name, attr] of node.attrs) {
    if (attr.kind !== "reference") continue;
    const owner = scope.inside;
    if (owner?.attributes.includes(attr.to) || owner?.attributeDefaults.has(attr.to)) continue;
    throw nodeDefect(node, `attribute "${name}" refers to an attribute that the function does not have`, {
      given: `"${attr.to}"`,
    });
  }
  const { functions } = scope.model;
  const target = functions.size === 0 ? undefined : functions.get(functionKey(node));
  if (target !== undefined) {
    checkCall(node, target, scope);
    return undefined;
  }
  const opset =
    scope.opsets.get(node.domain) ?? (scope.opsets.size === 0 && node.domain === "" ? 1 : undefined);
  if (opset === undefined) {
    throw nodeDefect(node, "belongs to a domain that is not imported", { given: `"${node.domain}"` });
  }
  const row = opRow(node.domain, node.op, opset);
  if (row === undefined) {
    if (isListed(node.domain)) throw unknownOp(node, opset);
    return undefined;
  }
  if (row.deprecated) {
    throw nodeDefect(node, `is of an op that opset ${opset} no longer has`, {
      do: `import an opset below ${row.since}, or replace the op`,
    });
  }
  checkNodeAgainstRow(node, row);
  checkSubgraphArity(node, row.since);
  return checkTypes(node, row, inputs);
}

function unknownOp(node: Node, opset: number): TenonError {
  const since = introducedIn(node.domain, node.op);
  return new TenonError("MODEL_UNSUPPORTED", {
    problem:
      since === undefined
        ? `the op ${node.op} is unknown`
        : `the op ${node.op} came with opset ${since}, and the model imports ${opset}`,
    given: describeNode(node),
    expected: since === undefined ? suggest(node.op, opsOf(node.domain), 0) : `opset ${since} or newer`,
    details: { op: node.op, domain: node.domain, node: node.name, opset },
  });
}

// ── local functions ────────────────────────────────────────────────────────────────────────────

function checkCall(node: Node, target: FunctionDef, scope: Scope): void {
  if (node.inputs.length > target.inputs.length || node.outputs.length > target.outputs.length) {
    throw nodeDefect(node, "calls a function with more values than it has", {
      given: `${node.inputs.length} inputs, ${node.outputs.length} outputs`,
      expected: `at most ${target.inputs.length} inputs, ${target.outputs.length} outputs`,
    });
  }
  for (const name of target.attributes) {
    if (node.attrs.has(name)) continue;
    throw nodeDefect(node, "calls a function without an attribute that it needs", { expected: `"${name}"` });
  }
  if (!scope.opsets.has(node.domain)) {
    throw nodeDefect(node, "belongs to a domain that is not imported", { given: `"${node.domain}"` });
  }
}

function checkFunctions(model: Model): void {
  for (const fn of model.functions.values()) {
    const names = new Names();
    for (const input of fn.inputs) define(input, names, `input of function ${fn.name}`, undefined);
    const declared = (name: string): TypeName => typeName(fn.valueInfo.get(name)?.type);
    checkNodes(fn.nodes, { model, opsets: fn.opsets, inside: fn, names, declared });
    for (const output of fn.outputs) {
      if (!names.has(output)) {
        throw defect(`an output of function ${fn.name} is not defined`, { given: `"${output}"` });
      }
    }
  }
  refuseRecursion(model);
}

function refuseRecursion(model: Model): void {
  const state = new Map<string, "open" | "done">();
  // An explicit stack: a chain of functions may be longer than the call stack is deep.
  for (const start of model.functions.keys()) {
    const stack = [{ key: start, leave: false }];
    while (stack.length > 0) {
      const { key, leave } = stack.pop()!;
      if (leave) {
        state.set(key, "done");
        continue;
      }
      if (state.get(key) === "done") continue;
      if (state.get(key) === "open") throw defect("a function calls itself", { given: key });
      state.set(key, "open");
      stack.push({ key, leave: true });
      for (const callee of calledBy(model.functions.get(key)!.nodes, model)) {
        if (state.get(callee) === "open") throw defect("a function calls itself", { given: callee });
        if (state.get(callee) === undefined) stack.push({ key: callee, leave: false });
      }
    }
  }
}

function calledBy(nodes: readonly Node[], model: Model): Set<string> {
  const keys = new Set<string>();
  for (const node of nodes) {
    const key = functionKey(node);
    if (model.functions.has(key)) keys.add(key);
    for (const graph of subgraphsOf(node)) for (const inner of calledBy(graph.nodes, model)) keys.add(inner);
  }
  return keys;
}
