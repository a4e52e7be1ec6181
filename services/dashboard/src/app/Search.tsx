import { Button } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { Suspense, useState } from "react";

import { Coming } from "../components/basics";
import { whenOpened } from "./later";

const SearchDialog = whenOpened(() => import("./SearchDialog").then((part) => part.SearchDialog));

/** Find a page, a flow, a run, a task run or a project by name or id: Ctrl-K. */
export function Search({ slug }: { slug: string }) {
  const [opened, { open, close }] = useDisclosure(false);
  // Once it was opened it stays, so that it can fade and keeps its text.
  const [wasOpened, setWasOpened] = useState(false);
  if (opened && !wasOpened) setWasOpened(true);
  useHotkeys([["mod+K", open], ["/", open]]);
  return (
    <>
      <Button variant="default" size="xs" justify="space-between" rightSection={<kbd>Ctrl K</kbd>} onClick={open}>
        Search
      </Button>
      <Suspense fallback={<Coming name="Search" />}>{wasOpened && <SearchDialog slug={slug} opened={opened} close={close} />}</Suspense>
    </>
  );
}
