/** A cloud and many edges in one process, on virtual time, for tests and load. */
export { SimulatedEdge, type SimulatedEdgeOptions } from "./simulated-edge.ts";
export { seededRandom, World, type WorldOptions } from "./world.ts";
