import { When } from "./basics";
import { State } from "./State";

/** The states that a run had, the newest first. */
export function History({ states }: { states: readonly { id: string; state: string; message: string | null; timestamp: string; version: number }[] }) {
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Version</th>
            <th scope="col">State</th>
            <th scope="col">When</th>
            <th scope="col">Message</th>
          </tr>
        </thead>
        <tbody>
          {states.map((state) => (
            <tr key={state.id}>
              <td className="num">{state.version}</td>
              <td>
                <State state={state.state} />
              </td>
              <td>
                <When at={state.timestamp} both />
              </td>
              <td className="wrap">{state.message}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
