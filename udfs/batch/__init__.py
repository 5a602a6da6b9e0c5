"""Chat servers that take requests by the file and answer within a day, for half the price: OpenAI's Batch API."""
