import { layers, type Edge } from "./layers";

self.onmessage = ({ data }: MessageEvent<{ ids: string[]; edges: Edge[] }>) => {
  self.postMessage(layers(data.ids, data.edges));
};
