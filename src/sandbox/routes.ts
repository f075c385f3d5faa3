// The endpoints, all of them, in the order of OpenAI's reference.

import { assistantRoutes } from './assistants.ts'
import { audioRoutes } from './audio.ts'
import { batchRoutes } from './batches.ts'
import { chatRoutes } from './chat.ts'
import { completionRoutes } from './completions.ts'
import { controlRoutes } from './control.ts'
import { echoRoutes } from './echo.ts'
import { embeddingRoutes } from './embeddings.ts'
import { fileRoutes } from './files.ts'
import { imageRoutes } from './images.ts'
import { deleteModel, getModel, listModels } from './models.ts'
import { moderationRoutes } from './moderations.ts'
import { organizationRoutes } from './organization.ts'
import { platformRoutes } from './platform.ts'
import { realtimeRoutes } from './realtime.ts'
import { responseRoutes } from './responses.ts'
import { vectorStoreRoutes } from './vector-stores.ts'
import { bytesReply, utf8 } from './reply.ts'
import type { Reply } from './reply.ts'
import type { Route } from './world.ts'

/** GET /: for whoever opens the address in a browser. */
function welcome(): Reply {
  const text =
    "The Headgate sandbox is running. Point your OpenAI client's base URL at /v1 of this address.\n"
  return bytesReply(utf8(text), 'text/plain; charset=utf-8')
}

/** Every endpoint; the first that fits a request wins. */
export const routes: readonly Route[] = [
  ...responseRoutes,
  ...platformRoutes,
  ...organizationRoutes,
  ...realtimeRoutes,
  ...chatRoutes,
  ...audioRoutes,
  ...imageRoutes,
  ...embeddingRoutes,
  ...batchRoutes,
  ...fileRoutes,
  ['GET', '/v1/models', listModels],
  ['GET', '/v1/models/:model*', getModel],
  ['DELETE', '/v1/models/:model*', deleteModel],
  ...moderationRoutes,
  ...vectorStoreRoutes,
  ...assistantRoutes,
  ...completionRoutes,
  ...echoRoutes,
  ...controlRoutes,
  ['GET', '/', welcome],
]
